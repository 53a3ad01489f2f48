"""Files of encoders as their authors' tools wrote them: unilm, fairseq, S3PRL, SpeechBrain; read, never executed."""
