"""Money, pure: prices and what usage costs. Integer nano-dollars inside, decimals only while computing."""
