"""Runtimes for networks (ONNX Runtime, OpenVINO, torch), their selection and measurement."""
