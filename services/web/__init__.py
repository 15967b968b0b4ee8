"""The panel as a page: who may ask for it, the page itself, and a panel process for each viewer."""
