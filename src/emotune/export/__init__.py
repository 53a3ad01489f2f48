"""Export of trained models to ONNX: the graph, eight-bit weights, and evidence that the answers are the same."""
