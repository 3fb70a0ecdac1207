"""The Keras parts that the families share.

training               the training loop: compile, fit, restore the best epoch
keras_model            a fitted net with its preprocessor and its target scaling; save and load
data_loader            arrays or batches for `fit` and `predict`
heads                  output layers and losses for one target or several
optimizer              optimizers and learning-rate schedules in the search space
time_limit             training that ends by a deadline
epoch_weights          the weights after each epoch, kept and saved
callbacks              Keras callbacks from the study file
dense_layers           stacks of dense layers, batch normalisation
conv_layers            convolutional layers that share their hyperparameters
image_input, image_stem, augmentation, mixup
                       images: input layers, first convolution, augmentation, mixed samples
sequence_input, sequence_stem, conv1d_stages, recurrent
                       sequences and texts: input layers, layers along the steps
text_input, word_vectors
                       token embeddings, pretrained word vectors
input_branches         one branch for each kind of column
backbones, backbone_config, feature_extractor
                       pretrained image nets
hypermodel, applications
                       nets that a hypermodel builds and compiles
denoising_autoencoder  an autoencoder of table columns as a feature extractor
architecture           parameter counts, layer tables and diagrams of a model's nets
inspection, activation_maps
                       Grad-CAM, filters and activations of image nets
"""
