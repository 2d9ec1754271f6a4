"""Before a contract is accepted: what would make replicas disagree is found or refused."""
