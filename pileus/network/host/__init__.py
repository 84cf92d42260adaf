"""The network wing on a hypervisor host: plugs ports, repairs what is wrong, serves metadata. No database."""
