import {
  to = falaj_gpu_node_pool.training
  id = "onprem:ae-du:dubai-1/retail/gpu_node_pool/training/01976f2e-4b7a-7c3d-9a51-2f0c8d4e6b10"
}
