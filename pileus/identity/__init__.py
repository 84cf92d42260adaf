"""Identity: users, projects, domains, roles, tokens and the catalog."""
