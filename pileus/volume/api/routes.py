"""Every operation of block storage, as one table."""

from pileus.foundation.http.app import Api
from pileus.foundation.http.route import Route
from pileus.volume.api import discovery, volume_schema, volumes
from pileus.volume.api.dress import dress
from pileus.volume.api.versions import MICROVERSIONS

_OP = "block-storage:"

_DISCOVERY = (
    Route("GET", "/", discovery.list_versions, None, f"{_OP}get:root", success=300),
    Route("GET", "/v3", discovery.redirect, None, f"{_OP}get:", success=302),
    Route("GET", "/v3/", discovery.show_version, "", f"{_OP}get:"),
)

_VOLUMES = (
    Route("GET", "/v3/volumes", volumes.list_volumes, "volume:get_all", f"{_OP}get:volumes",
          query=volume_schema.LIST),
    Route("POST", "/v3/volumes", volumes.create_volume, "volume:create", f"{_OP}post:volumes", success=202,
          body=volume_schema.CREATE),
    Route("GET", "/v3/volumes/detail", volumes.list_volumes_detail, "volume:get_all", f"{_OP}get:volumes/detail",
          query=volume_schema.LIST),
    Route("GET", "/v3/volumes/{volume_id}", volumes.show_volume, "volume:get", f"{_OP}get:volumes/*", late=True),
    Route("PUT", "/v3/volumes/{volume_id}", volumes.update_volume, "volume:update", f"{_OP}put:volumes/*", late=True,
          body=volume_schema.UPDATE_OLD, until="3.52"),
    Route("PUT", "/v3/volumes/{volume_id}", volumes.update_volume, "volume:update", f"{_OP}put:volumes/*", late=True,
          body=volume_schema.UPDATE, since="3.53"),
    Route("DELETE", "/v3/volumes/{volume_id}", volumes.delete_volume, "volume:delete", f"{_OP}delete:volumes/*",
          success=202, late=True),
)  # fmt: skip

ROUTES: tuple[Route, ...] = (*_DISCOVERY, *_VOLUMES)

API = Api(
    name="volume",
    routes=ROUTES,
    dress=dress,
    microversions=MICROVERSIONS,
    id_headers=("x-openstack-request-id", "x-compute-request-id"),
    vary=("OpenStack-API-Version",),
    project_segment=True,
)
