"""One file a version of the tables; what was released is never changed."""
