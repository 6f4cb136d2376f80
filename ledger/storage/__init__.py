"""The SQLite file: collects journals into it, derives its projections, verifies it, and reads it."""
