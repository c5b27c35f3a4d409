"""The checker. In: a `Graph`. Out: a `Plan` with every shape and the size rule, or every mistake."""
