"""Mozilla's device protocol, which Firefox and KDE's distributor speak: what is said, and how it is read within bounds."""
