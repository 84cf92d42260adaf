"""Who may do what with images: the default rules, under OpenStack's names.

Source: the reference implementation's published policy defaults; `member_id` is the asking project where an image is
shared with it.
"""

from pileus.foundation.policy import RuleDefault

ADMIN = "rule:context_is_admin"
MEMBER = "role:member and project_id:%(project_id)s"
READER = "role:reader and project_id:%(project_id)s"
INVITED = "project_id:%(member_id)s"
OPEN = "'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s"

ADMIN_OR_MEMBER = f"{ADMIN} or ({MEMBER})"
ADMIN_OR_READER = f"{ADMIN} or ({READER})"
ANYONE_WHO_READS = f"{ADMIN} or (role:reader and (project_id:%(project_id)s or {INVITED} or {OPEN}))"
ANYONE_WHO_USES = f"{ADMIN} or (role:member and (project_id:%(project_id)s or {INVITED} or {OPEN}))"
OWNER_OR_INVITED = f"{ADMIN} or (role:reader and (project_id:%(project_id)s or {INVITED}))"

RULES = (
    RuleDefault("context_is_admin", "role:admin", "Who is an administrator"),
    RuleDefault("default", "", "What has no rule of its own"),
    RuleDefault("add_image", f"{ADMIN} or ({MEMBER} and project_id:%(owner)s)", "Create an image"),
    RuleDefault("get_image", ANYONE_WHO_READS, "Show an image"),
    RuleDefault("get_images", ADMIN_OR_READER, "List images"),
    RuleDefault("modify_image", ADMIN_OR_MEMBER, "Change an image, its tags, its staged data"),
    RuleDefault("delete_image", ADMIN_OR_MEMBER, "Delete an image"),
    RuleDefault("publicize_image", ADMIN, "Show an image to everybody"),
    RuleDefault("communitize_image", ADMIN_OR_MEMBER, "Let everybody use an image who knows its id"),
    RuleDefault("upload_image", ADMIN_OR_MEMBER, "Give an image its data"),
    RuleDefault("download_image", ANYONE_WHO_USES, "Fetch an image's data"),
    RuleDefault("deactivate", ADMIN_OR_MEMBER, "Lock an image's data away"),
    RuleDefault("reactivate", ADMIN_OR_MEMBER, "Unlock an image's data"),
    RuleDefault("add_member", ADMIN_OR_MEMBER, "Offer an image to a project"),
    RuleDefault("delete_member", ADMIN_OR_MEMBER, "Take an offer back"),
    RuleDefault("get_member", OWNER_OR_INVITED, "Show a member"),
    RuleDefault("get_members", OWNER_OR_INVITED, "List members"),
    RuleDefault("modify_member", f"{ADMIN} or (role:member and {INVITED})", "Answer to an offer"),
)
