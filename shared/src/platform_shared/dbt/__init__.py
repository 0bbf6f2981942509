"""What locations with a dbt project share. Only such locations import it, and dbt with it."""
