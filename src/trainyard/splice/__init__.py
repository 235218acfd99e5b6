"""The splice line: genome, annotation and a base splice model to a feature table and a meta-model."""
