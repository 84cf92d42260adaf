"""Block storage: volumes, their attachments, types and quotas."""
