terraform import falaj_endpoint.employed 'onprem:ae-du:dubai-1/retail/people/endpoint/employed/01976f2e-4b7a-7c3d-9a51-2f0c8d4e6b10'
