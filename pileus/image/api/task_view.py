"""An import as the API shows it: what the reference implementation calls a task of the image."""

from typing import Any

from pileus.foundation.flow import FlowRecord
from pileus.image.api.image_view import time_view

KEPT_S = 48 * 3600
_STATUS = {"running": "processing", "undoing": "processing", "done": "success", "failed": "failure", "stuck": "failure"}


def task_view(record: FlowRecord, store_id: str) -> dict[str, Any]:
    """The task; its message is the reason why it failed."""
    params, has_ended = record.params, record.state in ("done", "failed")
    asked = {"image_id": params["image_id"], "import_req": _without_secrets(params["asked"]), "backend": [store_id]}
    return {
        "id": record.id,
        "type": "api_image_import",
        "status": _STATUS[record.state],
        "owner": params["owner"],
        "user_id": params["user_id"],
        "image_id": params["image_id"],
        "request_id": record.request_id,
        "input": asked,
        "result": {"image_id": params["image_id"]} if record.state == "done" else None,
        "message": record.error["text"] if record.error else "",
        "created_at": time_view(record.created_at),
        "updated_at": time_view(record.updated_at),
        "expires_at": time_view(record.updated_at + KEPT_S * 1_000_000) if has_ended else None,
    }


def _without_secrets(asked: dict[str, Any]) -> dict[str, Any]:
    """The request without its URL's query: who sees an image need not see the key it was fetched with."""
    method = asked.get("method", {})
    return {**asked, "method": {**method, "uri": method["uri"].partition("?")[0]}} if "uri" in method else asked
