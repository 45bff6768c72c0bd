"""Values and rules: states, priorities, events, errors, retry, workflow graph, orders, bars."""
