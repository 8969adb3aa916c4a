"""Turn what the user asked for into a Plan: settings, targets, scenarios, prompts, cost and order."""
