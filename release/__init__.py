"""What a release is made of: locked requirements, the wheel, its bill of materials and list of licences."""
