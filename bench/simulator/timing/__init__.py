"""Say when each frame is sent: profiles and schedules."""
