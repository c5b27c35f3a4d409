"""What makes a class a block. In: a class and its contract. Out: an entry that knows shapes, conditions and reach."""
