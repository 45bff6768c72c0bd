"""The files in which the operator and the package say what the desk is and what its days bring."""
