"""Visual stimuli on a monitor."""
