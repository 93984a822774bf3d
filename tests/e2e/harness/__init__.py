"""What the end-to-end tests stand on: the cluster's places, kubectl with deadlines, waiting, manifests."""
