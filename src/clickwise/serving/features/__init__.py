"""The feature store: what is known of users and ads beforehand, encoded once, found by id when a request comes."""
