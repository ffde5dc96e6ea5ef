"""Loss, schedules, optimizer and the loop."""
