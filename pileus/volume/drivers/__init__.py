"""Where the bytes of volumes are: back ends behind one Protocol."""
