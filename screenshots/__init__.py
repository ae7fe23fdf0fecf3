"""Pictures of every page as a person sees it: of a stack of its own, quiet, busy and broken."""
