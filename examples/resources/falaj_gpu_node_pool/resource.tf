resource "falaj_gpu_node_pool" "training" {
  cluster_id  = falaj_cluster.this.id
  name        = "training"
  accelerator = { product = "NVIDIA H100", count_per_node = 2 }
}
