"""The only room that knows DuckDB or Spark: runs SQL, and compiles one SQL text to each dialect."""
