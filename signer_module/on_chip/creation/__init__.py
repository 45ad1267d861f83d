"""Create a module of a blank chip: the steps up to the locks, resumed where a run was cut."""
