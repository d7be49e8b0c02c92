"""E_I: networks that turn a picture into a feature map."""
