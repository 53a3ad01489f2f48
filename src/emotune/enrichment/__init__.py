"""What a clip lacks, made by other models: transcripts, text embeddings, gender."""
