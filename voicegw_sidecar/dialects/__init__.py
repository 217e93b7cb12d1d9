"""Wire protocols that more than one provider speaks; one used once lives in its provider's file."""
