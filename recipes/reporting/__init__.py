"""What a person looks at: pictures, curves and the report of a run."""
