"""Child processes: started, bounded, ended by us."""
