"""Outside text made safe to show, secrets masked, values spelled."""
