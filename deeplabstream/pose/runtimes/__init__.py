"""Runtimes for networks (ONNX Runtime, OpenVINO), their selection and measurement."""
