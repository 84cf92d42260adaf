"""The Image API as a table: method, path, handler, policy, row of the reference, codes, schemas."""

from pileus.foundation.http.app import Api
from pileus.foundation.http.route import Route
from pileus.image.api import discovery, image_data, images, imports, json_patch, members
from pileus.image.api.dress import dress
from pileus.image.api.hosts import HOSTS
from pileus.image.api.image_schema import ADD_MEMBER, ANSWER, CREATE, IMPORT, LIST, PATCH

_IMAGE = "/v2/images/{image_id}"
_MEMBER = "/v2/images/{image_id}/members/{member_id}"
_TAG = "/v2/images/{image_id}/tags/{tag}"

_DISCOVERY = (
    Route("GET", "/", discovery.choose_version, None, "image:get:", success=300),
    Route("GET", "/versions", discovery.list_versions, None, "image:get:versions"),
    Route("GET", "/v2/info/import", discovery.import_info, "", "image:get:info/import"),
    Route("GET", "/v2/info/stores", discovery.stores, "", "image:get:info/stores"),
    Route("GET", "/v2/schemas/image", discovery.image_schema, "", "image:get:schemas/image"),
    Route("GET", "/v2/schemas/images", discovery.images_schema, "", "image:get:schemas/images"),
    Route("GET", "/v2/schemas/member", discovery.member_schema, "", "image:get:schemas/member"),
    Route("GET", "/v2/schemas/members", discovery.members_schema, "", "image:get:schemas/members"),
)

_IMAGES = (
    Route("GET", "/v2/images", images.list_, "get_images", "image:get:images", query=LIST),
    Route(
        "POST", "/v2/images", images.create, "add_image", "image:post:images",
        success=201, body=CREATE, late=True,
    ),
    Route("GET", _IMAGE, images.show, "get_image", "image:get:images/*", late=True),
    Route(
        "PATCH", _IMAGE, images.update, "modify_image", "image:patch:images/*",
        body=PATCH, media=json_patch.MEDIA, late=True,
    ),
    Route("DELETE", _IMAGE, images.delete, "delete_image", "image:delete:images/*", success=204, late=True),
    Route(
        "POST", f"{_IMAGE}/actions/deactivate", images.deactivate, "deactivate",
        "image:post:images/*/actions/deactivate", success=204, late=True,
    ),
    Route(
        "POST", f"{_IMAGE}/actions/reactivate", images.reactivate, "reactivate",
        "image:post:images/*/actions/reactivate", success=204, late=True,
    ),
    Route("PUT", _TAG, images.add_tag, "modify_image", "image:put:images/*/tags/*", success=204, late=True),
    Route("DELETE", _TAG, images.remove_tag, "modify_image", "image:delete:images/*/tags/*", success=204, late=True),
)  # fmt: skip

_DATA = (
    Route("GET", f"{_IMAGE}/file", image_data.download, "download_image", "image:get:images/*/file", late=True),
    Route(
        "PUT", f"{_IMAGE}/file", image_data.upload, "upload_image", "image:put:images/*/file",
        success=204, late=True, upload=True,
    ),
    Route(
        "PUT", f"{_IMAGE}/stage", imports.stage, "modify_image", "image:put:images/*/stage",
        success=204, late=True, upload=True,
    ),
    Route("GET", f"{_IMAGE}/tasks", imports.tasks, "get_image", "image:get:images/*/tasks", late=True),
    Route(
        "POST", f"{_IMAGE}/import", imports.import_image, "modify_image", "image:post:images/*/import",
        success=202, body=IMPORT, late=True,
    ),
)  # fmt: skip

_MEMBERS = (
    Route("GET", f"{_IMAGE}/members", members.list_, "get_members", "image:get:images/*/members", late=True),
    Route(
        "POST", f"{_IMAGE}/members", members.add, "add_member", "image:post:images/*/members",
        body=ADD_MEMBER, late=True,
    ),
    Route("GET", _MEMBER, members.show, "get_member", "image:get:images/*/members/*", late=True),
    Route(
        "PUT", _MEMBER, members.update, "modify_member", "image:put:images/*/members/*", body=ANSWER, late=True
    ),
    Route(
        "DELETE", _MEMBER, members.remove, "delete_member", "image:delete:images/*/members/*", success=204, late=True
    ),
)  # fmt: skip

ROUTES = (*_DISCOVERY, *_IMAGES, *_DATA, *_MEMBERS)

API = Api("image", ROUTES, dress, hosts=HOSTS)
