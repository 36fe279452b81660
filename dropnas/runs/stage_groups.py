"""Groups of stages that several rooms name. `pipeline/stages.py` defines the stages."""

TRAINING_STAGES = ("search", "retrain", "transfer")  # train a network; the other stages take only moments
RESULT_STAGES = ("table", "published", "figure")  # their results are shown to a reader
