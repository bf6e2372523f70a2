"""Networks: layers of four rules each, chained under a loss (eqs. 1-10, 14-18)."""
