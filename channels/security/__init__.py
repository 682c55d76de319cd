"""Protection of consumers against requests that other sites make."""
