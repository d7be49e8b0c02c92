"""What an export holds: graph, warm-up requests, version folders, publication."""
