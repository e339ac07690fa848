"""What the columns of a log mean, when nobody has said: from their types, values and names to a schema."""

from clickwise.features.inference.infer import infer_schema
from clickwise.features.inference.schema_report import ColumnReport, InferredSchema

__all__ = ["ColumnReport", "InferredSchema", "infer_schema"]
