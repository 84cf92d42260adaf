"""HTTP for every service: routing, tokens, microversions, schemas, errors. It knows no service by name."""
