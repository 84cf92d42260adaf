"""What placement refuses, and with which code; a code that begins with "placement." is told to the caller.

Source: the error codes of the placement API, "Errors" in its reference.
"""

from pileus.foundation.errors import BadRequest, Conflict, NotFound

UNDEFINED = "placement.undefined_code"
CONCURRENT_UPDATE = "placement.concurrent_update"
BAD_VALUE = "placement.query.bad_value"


class ProviderNotFound(NotFound):
    message = "No resource provider with uuid {uuid} found."


class ProviderExists(Conflict):
    """The name or the uuid is taken."""

    code, message = "placement.duplicate_name", "Conflicting resource provider {what}: {value} already exists."


class ProviderInUse(Conflict):
    """Consumers hold something of it."""

    code = "placement.resource_provider.inuse"
    message = "Unable to delete resource provider {uuid}: Resource provider has allocations."


class ProviderHasChildren(Conflict):
    code = "placement.resource_provider.cannot_delete_parent"
    message = "Unable to delete parent resource provider {uuid}: It has child resource providers. Delete those first."


class BadParent(BadRequest):
    """The tree that was asked for cannot be."""

    message = "Unable to save resource provider {uuid}: {complaint}"


class ConcurrentUpdate(Conflict):
    """Another request changed it since the caller read it: read again, decide again."""

    code, message = CONCURRENT_UPDATE, "{what} was changed by another request; read it again and retry."


class ProviderGenerationConflict(ConcurrentUpdate):
    message = (
        "resource provider generation conflict: provider {uuid} is not at generation {expected}; "
        "read it again and retry."
    )


class ConsumerGenerationConflict(ConcurrentUpdate):
    message = "consumer generation conflict for consumer {uuid} - expected {found} but got {expected}"


class NoSuchResourceClass(BadRequest):
    """A resource class that a body or a query names does not exist."""

    message = "Unknown resource class: {name}."


class ResourceClassNotFound(NotFound):
    message = "No such resource class {name}."


class ResourceClassExists(Conflict):
    message = "resource class {name} already exists."


class StandardResourceClass(BadRequest):
    message = "Cannot {action} standard resource class {name}."


class ResourceClassInUse(Conflict):
    message = "resource class {name} is in use in inventory: delete that first."


class TraitNotFound(NotFound):
    message = "No such trait: {name}."


class NoSuchTraits(BadRequest):
    """Traits that a body or a query names do not exist."""

    message = "No such trait(s): {names}."


class StandardTrait(BadRequest):
    message = "Cannot delete standard trait {name}."


class TraitInUse(Conflict):
    message = "The trait {name} is in use by a resource provider: take it off there first."


class BadInventory(BadRequest):
    message = "Unable to set inventory of {name} on resource provider {uuid}: {complaint}"


class InventoryNotFound(NotFound):
    message = "No inventory of class {name} found on resource provider {uuid}."


class InventoryExists(Conflict):
    message = "Inventory of class {name} exists already on resource provider {uuid}."


class InventoryInUse(Conflict):
    """What shall go is held by consumers."""

    code = "placement.inventory.inuse"
    message = "Inventory for {names} on resource provider {uuid} in use."


class NoSuchProvider(BadRequest):
    """A provider that a claim names does not exist."""

    message = "Allocation for resource provider {uuid} that does not exist."


class InventoryMissing(Conflict):
    message = "Unable to allocate inventory: resource provider {uuid} has no inventory of {name}."


class CapacityExceeded(Conflict):
    """There is less left than was asked for."""

    message = (
        "Unable to allocate inventory: Unable to create allocation for '{name}' on resource provider '{uuid}'. "
        "The requested amount would exceed the capacity."
    )


class UnitsViolated(Conflict):
    """The amount is less than min_unit, more than max_unit, or no multiple of step_size."""

    message = (
        "Unable to allocate inventory: Unable to create allocation for '{name}' on resource provider '{uuid}'. "
        "The requested amount would violate inventory constraints."
    )


class NoAllocations(NotFound):
    message = "No allocations for consumer '{uuid}'"


class BadQuery(BadRequest):
    """A query parameter says what cannot be understood."""

    message = "{complaint}"


class BadQueryValue(BadQuery):
    code = BAD_VALUE


class MissingValue(BadRequest):
    code, message = "placement.query.missing_value", "{complaint}"


class DuplicateKey(BadRequest):
    code, message = "placement.query.duplicate_key", "Query parameter {name} is given more than once."


class NoSuchReshapedProvider(BadRequest):
    code = "placement.resource_provider.not_found"
    message = "Resource provider {uuid} in inventories not found."


class BadTraitName(BadRequest):
    message = (
        'The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix "CUSTOM_" '
        'and use following characters: "A"-"Z", "0"-"9" and "_". Got: {name}'
    )


class BadResourceClassName(BadRequest):
    message = (
        "The resource class is invalid. A valid custom resource class must be no longer than 255 characters, start "
        'with the prefix "CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_". Got: {name}'
    )
