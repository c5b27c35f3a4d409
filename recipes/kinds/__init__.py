"""What a recipe can name. In: a function or class. Out: a loss, metric, source, function, optimizer or schedule."""
